with source as (

    select * from {{ source('promotion_feed', 'promotions') }}

),

renamed as (

    select
        -- ids
        {{ source_key('retail_db', 'product_id') }} as product_id,
        {{ source_key('retail_db', 'store_id') }} as store_id,

        -- strings
        display_location,
        mailer_location,
        _dlt_load_id as load_id,

        -- numerics
        cast(week as integer) as business_week

    from source

)

select * from renamed
