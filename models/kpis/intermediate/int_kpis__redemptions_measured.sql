-- Grain: one row a (grain, period_start_date, slice, slice_value) with redemptions.
with redemptions as (

    select * from {{ ref('fct_coupon_redemptions') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

dated as (

    select
        dates.business_date,
        dates.week_start_date,
        dates.month_start_date,
        redemptions.household_id,
        redemptions.campaign_id as campaign
    from redemptions
    inner join dates
        on redemptions.redemption_date = dates.business_date

),

measured as (

    {% for grain, period in kpi_grains().items() %}
        {% set last_grain = loop.last %}
        {% for slice, slice_value in {'all': "'all'", 'campaign': 'campaign'}.items() %}
            select
                '{{ grain }}' as grain,
                {{ period }} as period_start_date,
                '{{ slice }}' as slice,
                {{ slice_value }} as slice_value,
                count(*) as coupon_redemption_count,
                count(distinct household_id) as redeeming_household_count
            from dated
            group by
                {{ period }}
                {{ ', ' ~ slice_value if slice != 'all' }}
            {{ 'union all' if not (loop.last and last_grain) }}
        {% endfor %}
    {% endfor %}

)

select * from measured
