-- Grain: one row a (kpi_id, grain, period_start_date, slice, slice_value) of complete periods, with
-- the process behaviour chart (XmR) of its series.
--
-- The limits are the mean of the baseline and 2.66 mean moving ranges to either side; 2.66 is
-- 3 / 1.128, and 1.128 what the mean range of two values is in standard deviations.
with computed as (

    select * from {{ ref('int_kpis__values_computed') }}

),

complete as (

    select
        *,
        baseline_from is null or period_start_date >= baseline_from as is_after_baseline_start,
        lag(kpi_value) over (
            partition by kpi_id, grain, slice, slice_value
            order by period_start_date
        ) as previous_value
    from computed
    where
        is_complete_period
        and kpi_value is not null

),

numbered as (

    select
        *,
        sum(case when is_after_baseline_start then 1 else 0 end) over (
            partition by kpi_id, grain, slice, slice_value
            order by period_start_date
            rows between unbounded preceding and current row
        ) as period_number
    from complete

),

-- The first period of the baseline has no range: what is before it is not of the baseline.
ranged as (

    select
        *,
        case when period_number > 1 then abs(kpi_value - previous_value) end as moving_range,
        period_number between 1 and case
            {% for grain, periods in var('kpi_baseline_periods').items() %}
                when grain = '{{ grain }}' then {{ periods }}
            {% endfor %}
        end as is_in_baseline
    from numbered

),

baselines as (

    select
        kpi_id,
        grain,
        slice,
        slice_value,
        count(*) as baseline_periods,
        sum(kpi_value) as value_sum,
        sum(moving_range) as moving_range_sum
    from ranged
    where is_in_baseline
    group by
        kpi_id,
        grain,
        slice,
        slice_value

),

-- No limits before the baseline is whole, and none where nothing ever moved in it.
limits as (

    select
        kpi_id,
        grain,
        slice,
        slice_value,
        {{ kpi_ratio('value_sum', 'baseline_periods') }} as baseline_mean,
        {{ kpi_ratio('moving_range_sum', 'baseline_periods - 1') }} as mean_moving_range
    from baselines
    where
        moving_range_sum > 0
        and baseline_periods = case
            {% for grain, periods in var('kpi_baseline_periods').items() %}
                when grain = '{{ grain }}' then {{ periods }}
            {% endfor %}
        end

),

limited as (

    select
        ranged.kpi_id,
        ranged.grain,
        ranged.period_start_date,
        ranged.slice,
        ranged.slice_value,
        ranged.kpi_value,
        ranged.period_number,
        limits.baseline_mean,
        cast(limits.baseline_mean - 2.66 * limits.mean_moving_range as decimal(28, 6)) as lower_limit,
        cast(limits.baseline_mean + 2.66 * limits.mean_moving_range as decimal(28, 6)) as upper_limit,
        case
            when ranged.kpi_value > limits.baseline_mean then 1
            when ranged.kpi_value < limits.baseline_mean then -1
            else 0
        end as side
    from ranged
    left join limits
        on
            ranged.kpi_id = limits.kpi_id
            and ranged.grain = limits.grain
            and ranged.slice = limits.slice
            and ranged.slice_value = limits.slice_value
            -- What is before the baseline is not like it, and not judged by it.
            and ranged.period_number > 0

),

-- Eight in a row on one side: all of the last eight sides are the same, and none is the mean.
sided as (

    select
        *,
        sum(side) over (
            partition by kpi_id, grain, slice, slice_value
            order by period_start_date
            rows between 7 preceding and current row
        ) as side_sum
    from limited

),

signalled as (

    select
        kpi_id,
        grain,
        period_start_date,
        slice,
        slice_value,
        baseline_mean,
        lower_limit,
        upper_limit,
        case
            when baseline_mean is null then null
            when kpi_value > upper_limit then 'above_upper_limit'
            when kpi_value < lower_limit then 'below_lower_limit'
            when side_sum = 8 then 'eight_above_mean'
            when side_sum = -8 then 'eight_below_mean'
        end as signal_rule
    from sided

)

select * from signalled
