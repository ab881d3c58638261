with source as (

    select * from {{ source('online_shop', 'orders') }}

),

renamed as (

    select
        -- ids
        {{ source_key('online_shop', 'id') }} as basket_id,
        {{ source_key('online_shop', 'customer_id') }} as household_id,

        -- strings
        status as order_status,
        _dlt_load_id as load_id,

        -- timestamps
        {{ utc_timestamp_of_text('placed_at') }} as sold_at

    from source

)

select * from renamed
