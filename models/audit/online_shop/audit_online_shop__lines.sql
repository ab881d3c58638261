-- Grain: one row an item in a paid order (basket_id, product_id), straight from the raw tables. Ids
-- are the shop's own; weeks are counted from Mondays, and not from days.
{{ config(materialized='view') }}

{% set first_week = "date '" ~ var('first_business_week_start_date') ~ "'" %}

with orders as (

    select * from {{ source('online_shop', 'orders') }}

),

order_items as (

    select * from {{ source('online_shop', 'order_items') }}

),

items as (

    select * from {{ source('online_shop', 'items') }}

),

-- '2017-03-05T02:14:09Z' without its letters.
dated as (

    select
        id,
        customer_id,
        cast(replace(replace(placed_at, 'T', ' '), 'Z', '') as timestamp) as placed_at
    from orders
    where status = 'paid'

),

localized as (

    select
        id,
        customer_id,
        {{ audit_local_date('placed_at') }} as local_date
    from dated

),

opened as (

    select
        *,
        {{ dbt.date_trunc('week', 'local_date') }} as monday
    from localized

),

weekly as (

    select
        *,
        {{ dbt.datediff(first_week, 'monday', 'day') }} as days_to_monday
    from opened

),

lines as (

    select
        'web:' || weekly.id as basket_id,
        'web:' || order_items.item_id as product_id,
        'web:' || weekly.customer_id as household_id,
        cast(1 + weekly.days_to_monday / 7 as integer) as week,
        weekly.local_date,
        'Unknown' as store,
        coalesce(items.category, 'Unknown') as department,
        case
            when items.own_brand then 'Private'
            when not items.own_brand then 'National'
            else 'Unknown'
        end as brand_type,
        'Unknown' as household_income_band,
        coalesce(items.own_brand, false) as is_private,
        false as is_promoted,
        cast(sum(order_items.list_price_cents - order_items.discount_cents) as bigint) as net_cents,
        cast(sum(order_items.discount_cents) as bigint) as loyalty_cents,
        cast(0 as bigint) as match_cents
    from weekly
    inner join order_items
        on weekly.id = order_items.order_id
    left join items
        on order_items.item_id = items.id
    group by
        weekly.id,
        weekly.customer_id,
        weekly.local_date,
        weekly.days_to_monday,
        order_items.item_id,
        items.category,
        items.own_brand

)

select * from lines
