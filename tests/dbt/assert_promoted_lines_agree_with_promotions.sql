-- A line is promoted exactly when the feed lists its product in that store and week. A row here
-- is a line that says otherwise: promotions arrived after the line was built and the incremental
-- build missed them. Build again with `dbt build --full-refresh --select fct_sales_lines+`; if
-- the row stays, the join in fct_sales_lines is wrong.
{{ config(group='marketing') }}

with lines as (

    select * from {{ ref('fct_sales_lines') }}

),

-- From the lines, of which there are fewer than promotions.
promoted_lines as (

    select distinct
        lines.basket_id,
        lines.product_id
    from {{ ref('int_marketing__promotions_attributed') }} as promotions
    inner join lines
        on
            promotions.product_id = lines.product_id
            and promotions.store_id = lines.store_id
            and promotions.business_week = lines.business_week

)

select lines.*
from lines
left join promoted_lines
    on
        lines.basket_id = promoted_lines.basket_id
        and lines.product_id = promoted_lines.product_id
where lines.is_promoted <> (promoted_lines.basket_id is not null)
