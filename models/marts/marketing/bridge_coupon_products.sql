-- Grain: one row a product that a coupon of a campaign is valid for.
with coupon_products as (

    select * from {{ ref('int_marketing__coupon_products_deduplicated') }}

),

final as (

    select
        coupon_upc,
        campaign_id,
        product_id,
        source_system
    from coupon_products

)

select * from final
