with source as (

    select * from {{ source('retail_db', 'coupons') }}

),

renamed as (

    select
        -- ids
        {{ source_key('retail_db', 'coupon_upc') }} as coupon_upc,
        {{ source_key('retail_db', 'product_id') }} as product_id,
        {{ source_key('retail_db', 'campaign_id') }} as campaign_id,

        -- strings
        _dlt_load_id as load_id

    from source

)

select * from renamed
