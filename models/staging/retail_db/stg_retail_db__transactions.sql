with source as (

    select * from {{ source('retail_db', 'transactions') }}

),

renamed as (

    select
        -- ids
        {{ source_key('retail_db', 'basket_id') }} as basket_id,
        {{ source_key('retail_db', 'product_id') }} as product_id,
        {{ source_key('retail_db', 'household_id') }} as household_id,
        {{ source_key('retail_db', 'store_id') }} as store_id,

        -- strings
        _dlt_load_id as load_id,

        -- numerics
        quantity,
        cast(week as integer) as source_week,
        {{ usd('sales_value') }} as net_sales_usd,
        {{ usd('retail_disc') }} as loyalty_discount_usd,
        {{ usd('coupon_match_disc') }} as coupon_match_discount_usd,
        {{ usd('coupon_disc') }} as coupon_discount_usd,

        -- timestamps
        transaction_timestamp as sold_at

    from source

)

select * from renamed
