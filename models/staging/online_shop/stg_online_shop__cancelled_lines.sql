-- Entity: cancelled_lines. An order that was paid can be cancelled or refunded later: its lines are
-- no sales lines any more, and leave no row there that would say so.
with orders as (

    select * from {{ ref('stg_online_shop__orders') }}

),

order_items as (

    select * from {{ ref('stg_online_shop__order_items') }}

),

cancelled as (

    select distinct
        order_items.basket_id,
        order_items.product_id,
        orders.load_id
    from order_items
    inner join orders
        on order_items.basket_id = orders.basket_id
    where (orders.order_status is distinct from 'paid')

)

select * from cancelled
