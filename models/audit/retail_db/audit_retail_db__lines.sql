-- Grain: one row a product in a basket (basket_id, product_id), straight from the raw tables.
{{ config(materialized='view') }}

with transactions as (

    select * from {{ source('retail_db', 'transactions') }}

),

products as (

    select * from {{ source('retail_db', 'products') }}

),

demographics as (

    select * from {{ source('retail_db', 'demographics') }}

),

promotions as (

    select * from {{ source('promotion_feed', 'promotions') }}

),

-- Of the many promotions the few that sold anything, once each.
promoted as (

    select distinct
        product_id,
        store_id,
        week
    from promotions
    where
        exists (
            select 1
            from transactions
            where
                promotions.product_id = transactions.product_id
                and promotions.store_id = transactions.store_id
                and promotions.week = transactions.week
        )

),

lines as (

    select
        'rdb:' || transactions.basket_id as basket_id,
        'rdb:' || transactions.product_id as product_id,
        'rdb:' || transactions.household_id as household_id,
        transactions.week,
        {{ audit_local_date('transactions.transaction_timestamp') }} as local_date,
        coalesce('rdb:' || transactions.store_id, 'Unknown') as store,
        coalesce(products.department, 'Unknown') as department,
        coalesce(products.brand, 'Unknown') as brand_type,
        coalesce(demographics.income, 'Unknown') as household_income_band,
        coalesce(products.brand, '') = 'Private' as is_private,
        promoted.week is not null as is_promoted,
        cast(round(transactions.sales_value * 100) as bigint) as net_cents,
        cast(round(transactions.retail_disc * 100) as bigint) as loyalty_cents,
        cast(round(transactions.coupon_match_disc * 100) as bigint) as match_cents
    from transactions
    left join products
        on transactions.product_id = products.product_id
    left join demographics
        on transactions.household_id = demographics.household_id
    left join promoted
        on
            transactions.product_id = promoted.product_id
            and transactions.store_id = promoted.store_id
            and transactions.week = promoted.week

)

select * from lines
