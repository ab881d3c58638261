with transactions as (

    select distinct
        household_id,
        source_system
    from {{ ref('int_shared__sales_lines_unioned') }}
    where household_id is not null

),

campaigns as (

    select distinct
        household_id,
        source_system
    from {{ ref('int_shared__campaign_households_unioned') }}

),

redemptions as (

    select distinct
        household_id,
        source_system
    from {{ ref('int_shared__coupon_redemptions_unioned') }}

),

demographics as (

    select * from {{ ref('int_shared__survey_answers_unioned') }}

),

listed as (

    select * from {{ ref('int_shared__households_unioned') }}

),

-- A household exists because it shops, is targeted, answers a survey or a system lists it.
identified as (

    select
        household_id,
        source_system
    from transactions
    union distinct
    select
        household_id,
        source_system
    from campaigns
    union distinct
    select
        household_id,
        source_system
    from redemptions
    union distinct
    select
        household_id,
        source_system
    from demographics
    union distinct
    select
        household_id,
        source_system
    from listed

),

described as (

    select
        identified.household_id,
        identified.source_system,
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
