-- Grain: one row a (measure_id, grain, period_start_date, slice, slice_value).
--
-- Every measure of the KPIs once more, straight from the raw tables. The path shares no model and
-- no macro with the one that it checks, and goes another way where there is one: whole cents in
-- place of decimals, the source's own week, periods counted in place of dates shifted. Each
-- system's part writes its keys itself. To audit another measure, add it here; to audit another
-- system, add to `parts` what it has, a model `audit_<system>__<part>` each.
{% set first_week = "date '" ~ var('first_business_week_start_date') ~ "'" %}
{% set parts = {
    'retail_db': ['lines', 'redemptions', 'targets'],
    'online_shop': ['lines'],
} %}
{% set systems = var('source_systems') %}

with lines as (

    {% for system in systems if 'lines' in parts[system] %}
        select
            basket_id,
            household_id,
            week,
            local_date,
            store,
            department,
            brand_type,
            household_income_band,
            is_private,
            is_promoted,
            net_cents,
            loyalty_cents,
            match_cents
        from {{ ref('audit_' ~ system ~ '__lines') }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

redemptions as (

    {% for system in systems if 'redemptions' in parts[system] %}
        select
            household_id,
            campaign,
            redemption_date
        from {{ ref('audit_' ~ system ~ '__redemptions') }}
        {{ 'union all' if not loop.last }}
    {% else %}
        select
            cast(null as {{ dbt.type_string() }}) as household_id,
            cast(null as {{ dbt.type_string() }}) as campaign,
            cast(null as date) as redemption_date
        where 1 = 0
    {% endfor %}

),

targets as (

    {% for system in systems if 'targets' in parts[system] %}
        select
            household_id,
            campaign,
            start_date,
            end_date
        from {{ ref('audit_' ~ system ~ '__targets') }}
        {{ 'union all' if not loop.last }}
    {% else %}
        select
            cast(null as {{ dbt.type_string() }}) as household_id,
            cast(null as {{ dbt.type_string() }}) as campaign,
            cast(null as date) as start_date,
            cast(null as date) as end_date
        where 1 = 0
    {% endfor %}

),

-- The periods alone are taken from what is audited, none of its figures.
periods as (

    select distinct
        grain,
        period_start_date,
        period_end_date
    from {{ ref('kpi_values') }}

),

firsts as (

    select
        household_id,
        min(local_date) as first_date
    from lines
    group by household_id

),

-- Weeks are those of the source; months are counted from year 0 (12 * year + month).
numbered as (

    select
        lines.*,
        firsts.first_date,
        {{ first_week }} + cast(7 * (lines.week - 1) as integer) as week_start,
        make_date(
            cast(extract(year from lines.local_date) as integer),
            cast(extract(month from lines.local_date) as integer),
            1
        ) as month_start,
        12 * extract(year from lines.local_date) + extract(month from lines.local_date) as month,
        12 * extract(year from firsts.first_date) + extract(month from firsts.first_date) as first_month,
        min(lines.week) over (partition by lines.household_id) as first_week
    from lines
    left join firsts
        on lines.household_id = firsts.household_id

),

{% set grains = {
    'day': {'start': 'local_date', 'is_first': 'local_date = first_date'},
    'week': {'start': 'week_start', 'is_first': 'week = first_week'},
    'month': {'start': 'month_start', 'is_first': 'month = first_month'},
} %}
{% set slices = ['all', 'department', 'store', 'brand_type', 'household_income_band'] %}

-- No store is measured by the day.
sales as (

    {% for grain, columns in grains.items() %}
        {% set last_grain = loop.last %}
        {% for slice in slices if (grain, slice) != ('day', 'store') %}
            select
                '{{ grain }}' as grain,
                '{{ slice }}' as slice,
                {{ columns.start }} as period_start_date,
                {{ "'all'" if slice == 'all' else slice }} as slice_value,
                sum(net_cents) as net_cents,
                sum(net_cents + loyalty_cents + match_cents) as gross_cents,
                sum(loyalty_cents + match_cents) as discount_cents,
                sum(case when is_private then net_cents else 0 end) as private_cents,
                sum(case when is_promoted then net_cents else 0 end) as promoted_cents,
                count(*) as line_count,
                sum(case when loyalty_cents > 0 then 1 else 0 end) as discounted_line_count,
                count(distinct basket_id) as basket_count,
                count(distinct household_id) as household_count,
                count(distinct case when {{ columns.is_first }} then household_id end)
                    as new_household_count
            from numbered
            group by
                {{ columns.start }}
                {{ ', ' ~ slice if slice != 'all' }}
            {{ 'union all' if not (loop.last and last_grain) }}
        {% endfor %}
    {% endfor %}

),

active as (

    select distinct
        'week' as grain,
        week as period_number,
        household_id,
        household_income_band
    from numbered
    where household_id is not null
    union all
    select distinct
        'month' as grain,
        month as period_number,
        household_id,
        household_income_band
    from numbered
    where household_id is not null

),

-- The first period is cut short where the data begin within it: its households are not followed.
opening as (

    select
        min(local_date) as first_date,
        min(week) as first_week,
        min(month) as first_month
    from numbered

),

whole as (

    select active.*
    from active
    cross join opening
    where
        case
            when active.grain = 'week'
                then
                    active.period_number > opening.first_week
                    or opening.first_date = {{ first_week }} + cast(7 * (opening.first_week - 1) as integer)
            else
                active.period_number > opening.first_month
                or extract(day from opening.first_date) = 1
        end

),

followed as (

    select
        before.grain,
        before.household_income_band,
        before.period_number + 1 as period_number,
        came.household_id is not null as has_come
    from whole as before
    left join active as came
        on
            before.grain = came.grain
            and before.household_id = came.household_id
            and before.period_number + 1 = came.period_number

),

followed_by_slice as (

    select
        followed.*,
        'all' as slice,
        'all' as slice_value
    from followed
    union all
    select
        followed.*,
        'household_income_band' as slice,
        household_income_band as slice_value
    from followed

),

retention as (

    select
        grain,
        case
            when grain = 'week' then {{ first_week }} + cast(7 * (period_number - 1) as integer)
            else {{ audit_month_start('period_number') }}
        end as period_start_date,
        slice,
        slice_value,
        count(*) as previous_count,
        sum(case when has_come then 1 else 0 end) as retained_count
    from followed_by_slice
    group by
        grain,
        period_number,
        slice,
        slice_value

),

redeemed as (

    select
        periods.grain,
        periods.period_start_date,
        redemptions.household_id,
        redemptions.campaign
    from redemptions
    inner join periods
        on
            redemptions.redemption_date >= periods.period_start_date
            and redemptions.redemption_date <= periods.period_end_date

),

redeemed_by_slice as (

    select
        redeemed.*,
        'all' as slice,
        'all' as slice_value
    from redeemed
    union all
    select
        redeemed.*,
        'campaign' as slice,
        campaign as slice_value
    from redeemed

),

redemption as (

    select
        grain,
        period_start_date,
        slice,
        slice_value,
        count(*) as redemption_count,
        count(distinct household_id) as household_count
    from redeemed_by_slice
    group by
        grain,
        period_start_date,
        slice,
        slice_value

),

redeeming as (

    select distinct
        grain,
        period_start_date,
        household_id,
        campaign
    from redeemed

),

targeted as (

    select
        periods.grain,
        periods.period_start_date,
        targets.campaign,
        redeeming.household_id is not null as has_redeemed
    from targets
    inner join periods
        on
            targets.start_date <= periods.period_end_date
            and targets.end_date >= periods.period_start_date
    left join redeeming
        on
            periods.grain = redeeming.grain
            and periods.period_start_date = redeeming.period_start_date
            and targets.household_id = redeeming.household_id
            and targets.campaign = redeeming.campaign
    where periods.grain <> 'day'

),

targeted_by_slice as (

    select
        targeted.*,
        'all' as slice,
        'all' as slice_value
    from targeted
    union all
    select
        targeted.*,
        'campaign' as slice,
        campaign as slice_value
    from targeted

),

target as (

    select
        grain,
        period_start_date,
        slice,
        slice_value,
        count(*) as target_count,
        sum(case when has_redeemed then 1 else 0 end) as redeeming_count
    from targeted_by_slice
    group by
        grain,
        period_start_date,
        slice,
        slice_value

),

{% set measures = {
    'net_sales_usd': ('sales', 'net_cents * 0.01'),
    'gross_sales_usd': ('sales', 'gross_cents * 0.01'),
    'retailer_discount_usd': ('sales', 'discount_cents * 0.01'),
    'private_label_net_sales_usd': ('sales', 'private_cents * 0.01'),
    'promoted_net_sales_usd': ('sales', 'promoted_cents * 0.01'),
    'line_count': ('sales', 'line_count'),
    'loyalty_discount_line_count': ('sales', 'discounted_line_count'),
    'basket_count': ('sales', 'basket_count'),
    'active_household_count': ('sales', 'household_count'),
    'new_household_count': ('sales', 'new_household_count'),
    'previous_active_household_count': ('retention', 'previous_count'),
    'retained_household_count': ('retention', 'retained_count'),
    'coupon_redemption_count': ('redemption', 'redemption_count'),
    'redeeming_household_count': ('redemption', 'household_count'),
    'running_target_count': ('target', 'target_count'),
    'redeeming_target_count': ('target', 'redeeming_count'),
} %}

measured as (

    {% for measure, (part, expression) in measures.items() %}
        select
            '{{ measure }}' as measure_id,
            grain,
            period_start_date,
            slice,
            slice_value,
            cast({{ expression }} as decimal(28, 2)) as measure_value
        from {{ part }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from measured
