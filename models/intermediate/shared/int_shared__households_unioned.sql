-- Grain: one row a household that a system lists (household_id).
with unioned as (

    {{ union_of_systems('households') }}

)

select * from unioned
