-- Grain: one row a coupon that a household redeemed on a day
-- (household_id, coupon_upc, campaign_id, redemption_date). Count rows.
with redemptions as (

    select * from {{ ref('int_marketing__redemptions_dated') }}

),

final as (

    select
        household_id,
        source_system,
        coupon_upc,
        campaign_id,
        redemption_date,
        business_week
    from redemptions

)

select * from final
