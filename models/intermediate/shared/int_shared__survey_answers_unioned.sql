-- Grain: one row a household that answered a survey (household_id).
with unioned as (

    {{ union_of_systems('survey_answers') }}

)

select * from unioned
