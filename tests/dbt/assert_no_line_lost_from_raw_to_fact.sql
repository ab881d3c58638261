-- Every raw sales line of the retailer is in the fact once, with its amounts. A row here is a source
-- week whose lines or amounts differ: a join lost or multiplied lines, or an incremental build
-- missed some. Build again with `dbt build --full-refresh --select fct_sales_lines+`; if the row
-- stays, a model is wrong. Other systems' lines are in audit_controls.
with raw_lines as (

    select
        week,
        count(*) as line_count,
        sum(quantity) as quantity,
        sum(cast(sales_value as decimal(18, 2))) as net_sales_usd,
        sum(cast(retail_disc as decimal(18, 2))) as loyalty_discount_usd,
        sum(cast(coupon_match_disc as decimal(18, 2))) as coupon_match_discount_usd,
        sum(cast(coupon_disc as decimal(18, 2))) as coupon_discount_usd
    from {{ source('retail_db', 'transactions') }}
    group by week

),

fact_lines as (

    select
        business_week,
        count(*) as line_count,
        sum(quantity) as quantity,
        sum(net_sales_usd) as net_sales_usd,
        sum(loyalty_discount_usd) as loyalty_discount_usd,
        sum(coupon_match_discount_usd) as coupon_match_discount_usd,
        sum(coupon_discount_usd) as coupon_discount_usd
    from {{ ref('fct_sales_lines') }}
    where source_system = 'retail_db'
    group by business_week

)

select
    coalesce(raw_lines.week, fact_lines.business_week) as business_week,
    raw_lines.line_count as raw_line_count,
    fact_lines.line_count as fact_line_count,
    raw_lines.net_sales_usd as raw_net_sales_usd,
    fact_lines.net_sales_usd as fact_net_sales_usd
from raw_lines
full outer join fact_lines
    on raw_lines.week = fact_lines.business_week
where
    raw_lines.line_count is distinct from fact_lines.line_count
    or raw_lines.quantity is distinct from fact_lines.quantity
    or raw_lines.net_sales_usd is distinct from fact_lines.net_sales_usd
    or raw_lines.loyalty_discount_usd is distinct from fact_lines.loyalty_discount_usd
    or raw_lines.coupon_match_discount_usd is distinct from fact_lines.coupon_match_discount_usd
    or raw_lines.coupon_discount_usd is distinct from fact_lines.coupon_discount_usd
