-- Grain: one row a (grain, period_start_date, slice, slice_value): weeks and months in which a
-- campaign runs, with or without sales.
with campaign_households as (

    select * from {{ ref('fct_campaign_households') }}

),

campaigns as (

    select * from {{ ref('dim_campaigns') }}

),

redemptions as (

    select * from {{ ref('fct_coupon_redemptions') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

-- A campaign runs in every period that holds one of its days.
running as (

    {% for grain in ['week', 'month'] %}
        select distinct
            '{{ grain }}' as grain,
            dates.{{ kpi_grains()[grain] }} as period_start_date,
            campaigns.campaign_id
        from campaigns
        inner join dates
            on
                campaigns.start_date <= dates.business_date
                and campaigns.end_date >= dates.business_date
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

redeemed as (

    {% for grain in ['week', 'month'] %}
        select distinct
            '{{ grain }}' as grain,
            dates.{{ kpi_grains()[grain] }} as period_start_date,
            redemptions.campaign_id,
            redemptions.household_id
        from redemptions
        inner join dates
            on redemptions.redemption_date = dates.business_date
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

targeted as (

    select
        running.grain,
        running.period_start_date,
        running.campaign_id as campaign,
        redeemed.household_id is not null as has_redeemed
    from running
    inner join campaign_households
        on running.campaign_id = campaign_households.campaign_id
    left join redeemed
        on
            running.grain = redeemed.grain
            and running.period_start_date = redeemed.period_start_date
            and running.campaign_id = redeemed.campaign_id
            and campaign_households.household_id = redeemed.household_id

),

measured as (

    {% for slice, slice_value in {'all': "'all'", 'campaign': 'campaign'}.items() %}
        select
            grain,
            period_start_date,
            '{{ slice }}' as slice,
            {{ slice_value }} as slice_value,
            count(*) as running_target_count,
            count(case when has_redeemed then 1 end) as redeeming_target_count
        from targeted
        group by
            grain,
            period_start_date
            {{ ', ' ~ slice_value if slice != 'all' }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from measured
