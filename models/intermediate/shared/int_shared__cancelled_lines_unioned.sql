-- Grain: one row a line that was sold and taken back (basket_id, product_id).
with unioned as (

    {{ union_of_systems('cancelled_lines') }}

)

select * from unioned
