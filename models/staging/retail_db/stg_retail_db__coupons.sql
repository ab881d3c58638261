with source as (

    select * from {{ source('retail_db', 'coupons') }}

),

renamed as (

    select
        -- ids
        coupon_upc,
        product_id,
        campaign_id,

        -- strings
        _dlt_load_id as load_id

    from source

)

select * from renamed
