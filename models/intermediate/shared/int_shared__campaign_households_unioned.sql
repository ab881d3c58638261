-- Grain: one row a household that a campaign targets (campaign_id, household_id).
with unioned as (

    {{ union_of_systems('campaign_households') }}

)

select * from unioned
