with coupons as (

    select * from {{ ref('int_shared__coupon_products_unioned') }}

),

-- The source holds exact duplicates (test assert_sample_figures counts them).
deduplicated as (

    select distinct
        coupon_upc,
        campaign_id,
        source_system,
        product_id
    from coupons

)

select * from deduplicated
