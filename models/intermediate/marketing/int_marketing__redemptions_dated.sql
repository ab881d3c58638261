with redemptions as (

    select * from {{ ref('int_shared__coupon_redemptions_unioned') }}

),

dated as (

    select
        household_id,
        source_system,
        coupon_upc,
        campaign_id,
        redemption_date,
        {{ business_week('redemption_date') }} as business_week
    from redemptions

)

select * from dated
