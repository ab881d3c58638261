-- Grain: one row a household that a campaign targets, straight from the raw tables.
{{ config(materialized='view') }}

with targets as (

    select * from {{ source('retail_db', 'campaigns') }}

),

campaigns as (

    select * from {{ source('retail_db', 'campaign_descriptions') }}

),

dated as (

    select
        'rdb:' || targets.household_id as household_id,
        'rdb:' || targets.campaign_id as campaign,
        cast(campaigns.start_date as date) as start_date,
        cast(campaigns.end_date as date) as end_date
    from campaigns
    inner join targets
        on campaigns.campaign_id = targets.campaign_id

)

select * from dated
