with coupon_products as (

    select * from {{ ref('int_marketing__coupon_products_deduplicated') }}

),

redemptions as (

    select * from {{ ref('int_marketing__redemptions_dated') }}

),

-- A coupon exists because it is issued or redeemed.
identified as (

    select
        coupon_upc,
        campaign_id,
        source_system
    from coupon_products
    union distinct
    select
        coupon_upc,
        campaign_id,
        source_system
    from redemptions

),

products as (

    select
        coupon_upc,
        campaign_id,
        count(*) as product_count
    from coupon_products
    group by coupon_upc, campaign_id

),

described as (

    select
        identified.coupon_upc,
        identified.campaign_id,
        identified.source_system,
        coalesce(products.product_count, 0) as product_count
    from identified
    left join products
        on
            identified.coupon_upc = products.coupon_upc
            and identified.campaign_id = products.campaign_id

)

select * from described
