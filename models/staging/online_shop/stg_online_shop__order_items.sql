with source as (

    select * from {{ source('online_shop', 'order_items') }}

),

renamed as (

    select
        -- ids
        {{ source_key('online_shop', 'order_id') }} as basket_id,
        {{ source_key('online_shop', 'item_id') }} as product_id,

        -- strings
        _dlt_load_id as load_id,

        -- numerics
        line_number,
        quantity,
        {{ usd('0.01 * list_price_cents') }} as list_price_usd,
        {{ usd('0.01 * discount_cents') }} as discount_usd

    from source

)

select * from renamed
