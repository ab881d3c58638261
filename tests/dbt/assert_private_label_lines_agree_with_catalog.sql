-- A line is private label exactly when the catalog says so of its product today. A row here is a
-- line that says otherwise: the catalog changed and the incremental build missed it; or one whose
-- product dim_products does not have. Build again with
-- `dbt build --full-refresh --select dim_products+`.
select lines.*
from {{ ref('fct_sales_lines') }} as lines
left join {{ ref('dim_products') }} as products
    on lines.product_id = products.product_id
where lines.is_private_label is distinct from products.is_private_label
