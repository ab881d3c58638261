-- Entity: sales_lines. Of paid orders alone: cancelled and refunded ones stay in the shop's tables.
-- An item can be on two lines of an order; a sales line is a product in a basket, so they are summed.
with orders as (

    select * from {{ ref('stg_online_shop__orders') }}

),

order_items as (

    select * from {{ ref('stg_online_shop__order_items') }}

),

paid as (

    select *
    from orders
    where order_status = 'paid'

),

summed as (

    select
        basket_id,
        product_id,
        cast(sum(quantity) as bigint) as quantity,
        sum(list_price_usd) as list_price_usd,
        sum(discount_usd) as discount_usd,
        max(load_id) as load_id
    from order_items
    group by basket_id, product_id

),

mapped as (

    select
        -- ids
        summed.basket_id,
        summed.product_id,
        paid.household_id,
        -- The shop has no stores.
        cast(null as {{ dbt.type_string() }}) as store_id,

        -- strings
        greatest(paid.load_id, summed.load_id) as load_id,

        -- numerics
        summed.quantity,
        cast(null as integer) as source_week,
        {{ usd('summed.list_price_usd - summed.discount_usd') }} as net_sales_usd,
        -- The shop gives it itself, as the stores give that of the loyalty card.
        {{ usd('summed.discount_usd') }} as loyalty_discount_usd,
        {{ usd('0') }} as coupon_match_discount_usd,
        {{ usd('0') }} as coupon_discount_usd,

        -- timestamps
        paid.sold_at

    from summed
    inner join paid
        on summed.basket_id = paid.basket_id

)

select * from mapped
