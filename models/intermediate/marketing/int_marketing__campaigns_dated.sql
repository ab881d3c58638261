with campaigns as (

    select * from {{ ref('int_shared__campaigns_unioned') }}

),

dated as (

    select
        campaign_id,
        source_system,
        campaign_type,
        start_date,
        end_date,
        {{ days_between('start_date', 'end_date') }} + 1 as duration_days
    from campaigns

)

select * from dated
