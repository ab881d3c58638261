-- Grain: one row a (grain, period_start_date, slice, slice_value): weeks and months after the first
-- that was seen from its first day, for all households and by income band.
with lines as (

    select * from {{ ref('int_kpis__lines_attributed') }}

),

active as (

    {% for grain in ['week', 'month'] %}
        select distinct
            '{{ grain }}' as grain,
            {{ kpi_grains()[grain] }} as period_start_date,
            household_id,
            household_income_band
        from lines
        where household_id is not null
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

observed as (

    select
        min(business_date) as first_business_date,
        max(business_date) as last_business_date
    from lines

),

-- A household of the period before, whether it came back or not.
expected as (

    select
        active.grain,
        active.household_id,
        active.household_income_band,
        active.period_start_date as previous_period_start_date,
        {{ next_period_start_date('active.grain', 'active.period_start_date') }} as period_start_date
    from active

),

followed as (

    select
        expected.grain,
        expected.period_start_date,
        expected.household_income_band,
        active.household_id is not null as is_retained
    from expected
    -- Nobody is followed from a period that began before the data: who came in its few days is no
    -- measure of who comes in a period. And no period is judged before it has begun.
    inner join observed
        on
            expected.previous_period_start_date >= observed.first_business_date
            and expected.period_start_date <= observed.last_business_date
    left join active
        on
            expected.grain = active.grain
            and expected.period_start_date = active.period_start_date
            and expected.household_id = active.household_id

),

measured as (

    {% for slice, slice_value in {'all': "'all'", 'household_income_band': 'household_income_band'}.items() %}
        select
            grain,
            period_start_date,
            '{{ slice }}' as slice,
            {{ slice_value }} as slice_value,
            count(*) as previous_active_household_count,
            count(case when is_retained then 1 end) as retained_household_count
        from followed
        group by
            grain,
            period_start_date
            {{ ', ' ~ slice_value if slice != 'all' }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from measured
