with campaigns as (

    select * from {{ ref('stg_retail_db__campaign_descriptions') }}

),

dated as (

    select
        campaign_id,
        campaign_type,
        start_date,
        end_date,
        cast({{ dbt.datediff('start_date', 'end_date', 'day') }} + 1 as integer) as duration_days
    from campaigns

)

select * from dated
