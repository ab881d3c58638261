with coupons as (

    select * from {{ ref('stg_retail_db__coupons') }}

),

-- The source holds exact duplicates (test coupon_duplicates_are_known counts them).
deduplicated as (

    select distinct
        coupon_upc,
        campaign_id,
        product_id
    from coupons

)

select * from deduplicated
