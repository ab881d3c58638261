-- Grain: one row a campaign, and one unknown campaign.
with campaigns as (

    select * from {{ ref('int_marketing__campaigns_dated') }}

),

known as (

    select
        campaign_id,
        source_system,
        campaign_type,
        start_date,
        end_date,
        duration_days,
        false as is_unknown
    from campaigns

),

unknown as (

    select
        {{ unknown_key() }} as campaign_id,
        'Unknown' as source_system,
        'Unknown' as campaign_type,
        cast(null as date) as start_date,
        cast(null as date) as end_date,
        cast(null as integer) as duration_days,
        true as is_unknown

),

final as (

    select * from known
    union all
    select * from unknown

)

select * from final
