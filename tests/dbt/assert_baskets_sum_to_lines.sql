-- Baskets add up to their lines, day by day and to the cent. A row here is a date on which they do
-- not: an incremental build missed lines. Build again with
-- `dbt build --full-refresh --select fct_baskets+`; if the row stays, the model is wrong.
with lines as (

    select
        business_date,
        count(*) as line_count,
        count(distinct basket_id) as basket_count,
        sum(gross_sales_usd) as gross_sales_usd,
        sum(loyalty_discount_usd) as loyalty_discount_usd,
        sum(coupon_match_discount_usd) as coupon_match_discount_usd,
        sum(net_sales_usd) as net_sales_usd,
        sum(coupon_discount_usd) as coupon_discount_usd,
        sum(customer_paid_usd) as customer_paid_usd
    from {{ ref('fct_sales_lines') }}
    group by business_date

),

baskets as (

    select
        business_date,
        sum(line_count) as line_count,
        count(*) as basket_count,
        sum(gross_sales_usd) as gross_sales_usd,
        sum(loyalty_discount_usd) as loyalty_discount_usd,
        sum(coupon_match_discount_usd) as coupon_match_discount_usd,
        sum(net_sales_usd) as net_sales_usd,
        sum(coupon_discount_usd) as coupon_discount_usd,
        sum(customer_paid_usd) as customer_paid_usd
    from {{ ref('fct_baskets') }}
    group by business_date

)

select
    coalesce(lines.business_date, baskets.business_date) as business_date,
    lines.line_count as line_count_of_lines,
    baskets.line_count as line_count_of_baskets,
    lines.net_sales_usd as net_sales_usd_of_lines,
    baskets.net_sales_usd as net_sales_usd_of_baskets
from lines
full outer join baskets
    on lines.business_date = baskets.business_date
where
    lines.line_count is distinct from baskets.line_count
    or lines.basket_count is distinct from baskets.basket_count
    or lines.gross_sales_usd is distinct from baskets.gross_sales_usd
    or lines.loyalty_discount_usd is distinct from baskets.loyalty_discount_usd
    or lines.coupon_match_discount_usd is distinct from baskets.coupon_match_discount_usd
    or lines.net_sales_usd is distinct from baskets.net_sales_usd
    or lines.coupon_discount_usd is distinct from baskets.coupon_discount_usd
    or lines.customer_paid_usd is distinct from baskets.customer_paid_usd
