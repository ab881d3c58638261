-- Grain: one row a coupon in a campaign (coupon_upc, campaign_id), and one unknown coupon.
with coupons as (

    select * from {{ ref('int_marketing__coupons_identified') }}

),

known as (

    select
        coupon_upc,
        campaign_id,
        source_system,
        product_count,
        false as is_unknown
    from coupons

),

unknown as (

    select
        {{ unknown_key() }} as coupon_upc,
        {{ unknown_key() }} as campaign_id,
        'Unknown' as source_system,
        0 as product_count,
        true as is_unknown

),

final as (

    select * from known
    union all
    select * from unknown

)

select * from final
