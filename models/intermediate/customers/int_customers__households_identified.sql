with transactions as (

    select distinct household_id
    from {{ ref('stg_retail_db__transactions') }}
    where household_id is not null

),

campaigns as (

    select distinct household_id from {{ ref('stg_retail_db__campaigns') }}

),

redemptions as (

    select distinct household_id from {{ ref('stg_retail_db__coupon_redemptions') }}

),

demographics as (

    select * from {{ ref('stg_retail_db__demographics') }}

),

-- A household exists because it shops, is targeted or answers a survey.
identified as (

    select household_id from transactions
    union distinct
    select household_id from campaigns
    union distinct
    select household_id from redemptions
    union distinct
    select household_id from demographics

),

described as (

    select
        identified.household_id,
        transactions.household_id is not null as has_purchased,
        campaigns.household_id is not null as is_targeted,
        demographics.household_id is not null as has_answered_survey,
        demographics.age_band,
        demographics.income_band,
        demographics.home_ownership,
        demographics.marital_status,
        demographics.household_size,
        demographics.household_composition,
        demographics.kids_count
    from identified
    left join transactions
        on identified.household_id = transactions.household_id
    left join campaigns
        on identified.household_id = campaigns.household_id
    left join demographics
        on identified.household_id = demographics.household_id

)

select * from described
