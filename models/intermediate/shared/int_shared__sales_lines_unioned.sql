-- Grain: one row a product in a basket (basket_id, product_id).
with unioned as (

    {{ union_of_systems('sales_lines') }}

)

select * from unioned
