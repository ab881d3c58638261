-- Grain: one row a household targeted by a campaign. Redemptions add up over any selection.
with campaign_households as (

    select * from {{ ref('int_marketing__campaign_households_redeemed') }}

),

final as (

    select
        campaign_id,
        household_id,
        source_system,
        redemption_count,
        first_redemption_date,
        has_redeemed
    from campaign_households

)

select * from final
