with coupons as (

    select * from {{ ref('stg_retail_db__coupons') }}

),

-- The source holds exact duplicates (test assert_sample_figures counts them).
deduplicated as (

    select distinct
        coupon_upc,
        campaign_id,
        product_id
    from coupons

)

select * from deduplicated
