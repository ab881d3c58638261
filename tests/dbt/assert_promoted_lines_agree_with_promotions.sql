-- A line is promoted exactly when the feed lists its product in that store and week. A row here
-- is a line that says otherwise: promotions arrived after the line was built and the incremental
-- build missed them. Build again with `dbt build --full-refresh --select fct_sales_lines+`; if
-- the row stays, the join in fct_sales_lines is wrong.
{{ config(group='marketing') }}

with promoted as (

    select distinct
        product_id,
        store_id,
        business_week
    from {{ ref('int_marketing__promotions_unioned') }}

),

lines as (

    select * from {{ ref('fct_sales_lines') }}

)

select lines.*
from lines
left join promoted
    on
        lines.product_id = promoted.product_id
        and lines.store_id = promoted.store_id
        and lines.business_week = promoted.business_week
where lines.is_promoted <> (promoted.product_id is not null)
