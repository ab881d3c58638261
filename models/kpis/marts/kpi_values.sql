-- Grain: one row a (kpi_id, grain, period_start_date, slice, slice_value).
-- Numerators of sums add up over slices and periods; values of rates and counts of households do not.
with computed as (

    select * from {{ ref('int_kpis__values_computed') }}

),

signals as (

    select * from {{ ref('int_kpis__values_limited') }}

),

catalog as (

    select * from {{ ref('int_kpis__catalog_checked') }}

),

targets as (

    select * from {{ ref('kpi_targets') }}

),

-- Partial periods are compared with nothing, and nothing with them.
compared as (

    select
        *,
        case
            when
                is_complete_period
                and lag(is_complete_period) over (
                    partition by kpi_id, grain, slice, slice_value
                    order by period_start_date
                )
                then lag(kpi_value) over (
                    partition by kpi_id, grain, slice, slice_value
                    order by period_start_date
                )
        end as previous_value
    from computed

),

-- The mean of a ratio is that of its summed parts.
summed as (

    {% for grain, periods in var('kpi_trailing_periods').items() %}
        select
            *,
            {{ periods }} as periods_to_average,
            sum(case when is_complete_period then numerator end) over (
                partition by kpi_id, slice, slice_value
                order by period_start_date
                rows between {{ periods - 1 }} preceding and current row
            ) as trailing_numerator,
            sum(case when is_complete_period then denominator end) over (
                partition by kpi_id, slice, slice_value
                order by period_start_date
                rows between {{ periods - 1 }} preceding and current row
            ) as trailing_denominator,
            count(case when is_complete_period then 1 end) over (
                partition by kpi_id, slice, slice_value
                order by period_start_date
                rows between {{ periods - 1 }} preceding and current row
            ) as trailing_periods
        from compared
        where grain = '{{ grain }}'
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

averaged as (

    select
        *,
        case
            when trailing_periods < periods_to_average then null
            when is_ratio then {{ kpi_ratio('trailing_numerator', 'trailing_denominator') }}
            else {{ kpi_ratio('trailing_numerator', 'trailing_periods') }}
        end as trailing_mean
    from summed

),

joined as (

    select
        averaged.kpi_id,
        averaged.grain,
        averaged.period_start_date,
        averaged.period_end_date,
        averaged.slice,
        averaged.slice_value,
        averaged.kpi_value,
        averaged.numerator,
        averaged.denominator,
        averaged.is_complete_period,
        averaged.previous_value,
        averaged.trailing_mean,
        cast(targets.target as decimal(28, 6)) as target,
        catalog.good_direction,
        signals.baseline_mean,
        signals.lower_limit,
        signals.upper_limit,
        signals.signal_rule,
        case
            when not averaged.is_complete_period or averaged.kpi_value is null then null
            when catalog.good_direction = 'up'
                then averaged.kpi_value >= targets.target * (1 - targets.tolerance_rate)
            when catalog.good_direction = 'down'
                then averaged.kpi_value <= targets.target * (1 + targets.tolerance_rate)
            else
                abs(averaged.kpi_value - targets.target) <= targets.target * targets.tolerance_rate
        end as is_on_target
    from averaged
    inner join catalog
        on averaged.kpi_id = catalog.kpi_id
    left join signals
        on
            averaged.kpi_id = signals.kpi_id
            and averaged.grain = signals.grain
            and averaged.period_start_date = signals.period_start_date
            and averaged.slice = signals.slice
            and averaged.slice_value = signals.slice_value
    -- Targets are set for the whole, not for slices.
    left join targets
        on
            averaged.kpi_id = targets.kpi_id
            and averaged.grain = targets.grain
            and averaged.slice = 'all'
            and averaged.period_start_date >= targets.valid_from
            and averaged.period_end_date <= targets.valid_to

),

final as (

    select
        kpi_id,
        grain,
        period_start_date,
        period_end_date,
        slice,
        slice_value,
        kpi_value as value,
        numerator,
        denominator,
        previous_value,
        cast(kpi_value - previous_value as decimal(28, 6)) as change,
        {{ kpi_ratio('kpi_value - previous_value', 'abs(previous_value)') }} as relative_change,
        trailing_mean,
        target,
        is_on_target,
        baseline_mean,
        lower_limit,
        upper_limit,
        signal_rule,
        is_complete_period,
        case
            when not is_complete_period then 'incomplete'
            when kpi_value is null then 'no_value'
            when not is_on_target then 'off_target'
            when baseline_mean is null and is_on_target is null then 'no_baseline'
            when signal_rule is null then 'stable'
            when good_direction = 'none' then 'changed'
            when (good_direction = 'up') = (signal_rule in ('above_upper_limit', 'eight_above_mean'))
                then 'improved'
            else 'worsened'
        end as status
    from joined

)

select * from final
