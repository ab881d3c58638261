with targeted as (

    select * from {{ ref('int_shared__campaign_households_unioned') }}

),

redemptions as (

    select * from {{ ref('int_marketing__redemptions_dated') }}

),

redeemed as (

    select
        campaign_id,
        household_id,
        count(*) as redemption_count,
        min(redemption_date) as first_redemption_date
    from redemptions
    group by campaign_id, household_id

),

joined as (

    select
        targeted.campaign_id,
        targeted.household_id,
        targeted.source_system,
        coalesce(redeemed.redemption_count, 0) as redemption_count,
        redeemed.first_redemption_date,
        redeemed.household_id is not null as has_redeemed
    from targeted
    left join redeemed
        on
            targeted.campaign_id = redeemed.campaign_id
            and targeted.household_id = redeemed.household_id

)

select * from joined
