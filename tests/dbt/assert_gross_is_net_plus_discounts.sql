-- Shelf price is what the retailer receives plus what it gave away; what the customer pays is what
-- the retailer receives less the manufacturer's coupon. A row here was priced by another rule:
-- look at int_sales__lines_priced.
select *
from {{ ref('fct_sales_lines') }}
where
    gross_sales_usd <> net_sales_usd + loyalty_discount_usd + coupon_match_discount_usd
    or customer_paid_usd <> net_sales_usd - coupon_discount_usd
