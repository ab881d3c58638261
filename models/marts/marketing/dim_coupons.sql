-- Grain: one row a coupon in a campaign (coupon_upc, campaign_id), and one unknown coupon.
with coupons as (

    select * from {{ ref('int_marketing__coupons_identified') }}

),

known as (

    select
        coupon_upc,
        campaign_id,
        product_count,
        false as is_unknown
    from coupons

),

unknown as (

    select
        {{ var('unknown_key') }} as coupon_upc,
        {{ var('unknown_key') }} as campaign_id,
        0 as product_count,
        true as is_unknown

),

final as (

    select * from known
    union all
    select * from unknown

)

select * from final
