with source as (

    select * from {{ source('retail_db', 'campaign_descriptions') }}

),

renamed as (

    select
        -- ids
        {{ source_key('retail_db', 'campaign_id') }} as campaign_id,

        -- strings
        campaign_type,
        _dlt_load_id as load_id,

        -- dates
        cast(start_date as date) as start_date,
        cast(end_date as date) as end_date

    from source

)

select * from renamed
