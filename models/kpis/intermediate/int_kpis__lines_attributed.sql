with lines as (

    select * from {{ ref('fct_sales_lines') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

households as (

    select * from {{ ref('dim_households') }}

),

first_purchases as (

    select
        household_id,
        min(business_date) as first_purchase_date
    from lines
    where household_id <> {{ unknown_key() }}
    group by household_id

),

attributed as (

    select
        lines.basket_id,
        lines.product_id,
        lines.business_date,
        dates.week_start_date,
        dates.month_start_date,
        products.department,
        products.brand_type,
        households.income_band as household_income_band,
        lines.net_sales_usd,
        lines.gross_sales_usd,
        lines.loyalty_discount_usd,
        lines.coupon_match_discount_usd,
        lines.is_promoted,
        lines.is_private_label,
        first_purchases.first_purchase_date,
        lines.store_id as store,
        -- Null for sales of no known household: nobody to count.
        first_purchases.household_id
    from lines
    inner join dates
        on lines.business_date = dates.business_date
    inner join products
        on lines.product_id = products.product_id
    inner join households
        on lines.household_id = households.household_id
    left join first_purchases
        on lines.household_id = first_purchases.household_id

)

select * from attributed
