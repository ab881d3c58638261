-- Every sales line finds one version of its product: the one of the time when it was sold. A row here
-- is a line that finds none, and is lost where sales are read by attributes as they were, or several,
-- and counts as often. Look at the versions of its product; build them again with
-- `dbt build --select dim_products+`.
with lines as (

    select
        basket_id,
        product_id,
        sold_at
    from {{ ref('fct_sales_lines') }}

),

versions as (

    select
        product_id,
        valid_from,
        valid_to
    from {{ ref('dim_product_versions') }}

)

select
    lines.basket_id,
    lines.product_id,
    count(versions.product_id) as version_count
from lines
left join versions
    on
        lines.product_id = versions.product_id
        and lines.sold_at >= versions.valid_from
        and lines.sold_at < versions.valid_to
group by lines.basket_id, lines.product_id
having count(versions.product_id) <> 1
