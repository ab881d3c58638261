-- Grain: one row a load, table, measure and column.
with unioned as (

    {{ union_of_systems('load_control_totals') }}

)

select * from unioned
