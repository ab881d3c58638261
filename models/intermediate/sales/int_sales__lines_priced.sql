with transactions as (

    select * from {{ ref('int_shared__sales_lines_unioned') }}

),

dated as (

    select
        *,
        {{ business_date('sold_at') }} as business_date
    from transactions

),

-- The source's sales value is what the retailer receives: loyalty discount and coupon match are
-- taken off already, the manufacturer's coupon is not (the manufacturer refunds it).
priced as (

    select
        basket_id,
        product_id,
        source_system,
        coalesce(household_id, {{ unknown_key() }}) as household_id,
        coalesce(store_id, {{ unknown_key() }}) as store_id,
        quantity,
        source_week,
        business_date,
        {{ business_week('business_date') }} as business_week,
        sold_at,
        net_sales_usd + loyalty_discount_usd + coupon_match_discount_usd as gross_sales_usd,
        loyalty_discount_usd,
        coupon_match_discount_usd,
        net_sales_usd,
        coupon_discount_usd,
        net_sales_usd - coupon_discount_usd as customer_paid_usd,
        load_id
    from dated

)

select * from priced
