-- Grain: one row a place of a product in a store and week.
with unioned as (

    {{ union_of_systems('promotions') }}

)

select * from unioned
