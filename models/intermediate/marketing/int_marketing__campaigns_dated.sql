with campaigns as (

    select * from {{ ref('stg_retail_db__campaign_descriptions') }}

),

dated as (

    select
        campaign_id,
        campaign_type,
        start_date,
        end_date,
        {{ days_between('start_date', 'end_date') }} + 1 as duration_days
    from campaigns

)

select * from dated
