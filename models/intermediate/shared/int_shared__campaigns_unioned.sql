-- Grain: one row a campaign (campaign_id).
with unioned as (

    {{ union_of_systems('campaigns') }}

)

select * from unioned
