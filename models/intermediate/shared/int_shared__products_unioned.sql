-- Grain: one row a product of a catalog (product_id).
with unioned as (

    {{ union_of_systems('products') }}

)

select * from unioned
